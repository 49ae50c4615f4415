"""Manage Trusted Hosts (G-SSH): what can be pasted, and what is refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import asyncssh
import pytest

from lbctl.core.settings import CoreSettings
from lbctl.core.trust import Trust
from tests.core.cores import settings


def key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_public_key("openssh").decode()


def config(base: Path, name: str, **more: object) -> CoreSettings:
    made = settings(base, name, **more)
    made.directory.mkdir()
    return made


def test_the_local_key_stays_the_same_over_restarts_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    made = config(tmp_path, "core-a")
    assert Trust(made).local_key == Trust(made).local_key
    assert (made.directory / "ssh" / "local_key").stat().st_mode & 0o777 == 0o600


def test_added_hosts_are_kept_and_a_second_paste_replaces_the_first(tmp_path: Path) -> None:
    made = config(tmp_path, "core-a")
    first, second = key(), key()
    Trust(made).add("core-b.example.com", first)
    Trust(made).add("core-b.example.com", f"  {second.strip()} root@core-b  \n", ssh=2222)
    found = Trust(made).find("core-b.example.com")
    assert found is not None
    assert (found.key, found.ssh) == (" ".join(second.split()[:2]), 2222)
    assert Trust(made).identify(asyncssh.import_public_key(first)) is None
    Trust(made).remove("core-b.example.com")
    assert Trust(made).hosts() == []


@pytest.mark.parametrize(("host", "pasted", "sentence"), [
    ("core-b", "ssh-ed25519 nonsense", "not a public SSH key"), ("core-b", "", "not a public SSH key"),
    ("core b; rm", "", "host name"), ("", "", "host name"),
], ids=["nonsense", "empty", "host with spaces", "no host"])
def test_what_is_no_key_or_no_host_is_refused(tmp_path: Path, host: str, pasted: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Trust(config(tmp_path, "core-a")).add(host, pasted)


def test_ones_own_key_is_refused(tmp_path: Path) -> None:
    """The mistake that the guide's step 4 invites: pasting on the wrong side."""
    trust = Trust(config(tmp_path, "core-a"))
    with pytest.raises(ValueError, match="own key"):
        trust.add("core-b", trust.local_key)


def test_a_private_key_is_refused_and_not_repeated(tmp_path: Path) -> None:
    private = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh").decode()
    with pytest.raises(ValueError, match="not a public") as error:
        Trust(config(tmp_path, "core-a")).add("core-b", private)
    assert private[40:80] not in str(error.value)


def test_a_key_by_file_counts_as_soon_as_the_other_core_has_made_it(tmp_path: Path) -> None:
    """The sample configurations of a pair: whoever starts first does not know the other's key yet."""
    file = tmp_path / "core-b" / "ssh" / "local_key.pub"
    trust = Trust(config(tmp_path, "core-a", trusted_hosts=[{"host": "127.0.0.12", "key_file": file}]))
    assert trust.find("127.0.0.12") is None
    other = Trust(config(tmp_path, "core-b"))
    found = trust.find("127.0.0.12")
    assert found is not None
    assert trust.identify(other.key.convert_to_public()) == found
