"""Explainers, one method a file: each turns a game (or a model and a row) into an
`Explanation`.
"""
