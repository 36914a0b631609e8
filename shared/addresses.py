"""The address policy: which addresses and ports the service may connect to for a caller."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

#: All other IPv6 addresses are local, reserved or embed an IPv4 address.
_IPV6_UNICAST = ipaddress.ip_network("2000::/3")

#: Special-purpose networks inside the public ranges; ipaddress knows only some of them.
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",  # carrier NAT, and some clouds' metadata
        "168.63.129.16/32",  # Azure's host
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4 wraps an IPv4 address
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)


def parse_networks(text: str) -> tuple[IPNetwork, ...]:
    """Return the networks of a comma-separated list; raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def parse_ports(text: str) -> tuple[range, ...]:
    """Return the ports of a comma-separated list of ports and ranges; raises ValueError."""
    return tuple(_ports(part) for part in text.split(",") if part.strip())


def _ports(text: str) -> range:
    first, _, last = text.partition("-")
    ports = range(int(first), int(last or first) + 1)
    if not ports or ports[0] < 1 or ports[-1] > 65535:
        raise ValueError(f"{text.strip()} is not a list of ports")
    return ports


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be reached: the public internet and the networks that the operator allows."""

    networks: tuple[IPNetwork, ...] = ()
    ports: tuple[range, ...] = (range(443, 444), range(80, 81))

    @classmethod
    def parse(cls, networks: str, ports: str) -> Policy:
        """Return the policy of the settings `allow_nets` and `allow_ports`."""
        return cls(parse_networks(networks), parse_ports(ports))

    def allows_port(self, port: int) -> bool:
        """Tell whether a port may be connected to."""
        return any(port in ports for ports in self.ports)

    def allows(self, address: IPAddress) -> bool:
        """Tell whether an address may be connected to."""
        address = getattr(address, "ipv4_mapped", None) or address
        return _within(address, self.networks) or _public(address)


def _public(address: IPAddress) -> bool:
    if address.version == 6 and address not in _IPV6_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not _within(address, _SPECIAL)


def _within(address: IPAddress, networks: tuple[IPNetwork, ...]) -> bool:
    return any(address.version == net.version and address in net for net in networks)
