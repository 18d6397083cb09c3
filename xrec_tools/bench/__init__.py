"""The workshop: what authors run."""
