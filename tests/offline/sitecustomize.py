"""Python starts with this file when its folder is on PYTHONPATH: from then on it
connects to nothing but itself.

An audit hook sees every connection made through Python's sockets, by whichever library,
and cannot be taken off again.
"""

import ipaddress
import sys

ADDRESS = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
}


def is_loopback(host):
    """Whether a host name or address stays on this machine; a name other than localhost
    does not.
    """
    host = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host in ("", "localhost")


def stay_offline(event, arguments):
    """Refuse what leaves this machine; Unix sockets have no host and pass."""
    if event not in ADDRESS:
        return
    address = arguments[ADDRESS[event]]
    host = (
        address[0]
        if isinstance(address, tuple)
        else address
        if event == "socket.getaddrinfo"
        else None
    )
    if host is not None and not is_loopback(host):
        raise ConnectionRefusedError(
            f"the course runs offline: a connection to {host} was blocked ({event})"
        )


sys.addaudithook(stay_offline)
