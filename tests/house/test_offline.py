"""The suite itself cannot leave this machine, and finds no cloud settings."""

from __future__ import annotations

import os
import socket

import pytest

from exam import network


def test_a_connection_to_another_machine_is_refused() -> None:
    with pytest.raises(network.NetworkUsedError), socket.create_connection(("192.0.2.1", 80), timeout=1):
        pass
    with socket.socket() as outward, pytest.raises(network.NetworkUsedError):
        outward.connect_ex(("203.0.113.9", 443))


def test_a_name_is_not_looked_up() -> None:
    with pytest.raises(network.NetworkUsedError):
        socket.getaddrinfo("example.com", 80)


def test_a_connection_within_this_machine_is_made() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5) as there,
    ):
        assert there.getpeername() == server.getsockname()


@pytest.mark.parametrize("address", [("127.0.0.1", 1), ("::1", 1, 0, 0), ("localhost", 1), ("0.0.0.0", 1), "/run/x"])
def test_addresses_of_this_machine_are_known(address: object) -> None:
    assert network.is_here(address)


def test_no_cloud_setting_reaches_a_test() -> None:
    assert [name for name in os.environ if name.startswith(("AWS_", "CLARY_", "SAGEMAKER_"))] == []
