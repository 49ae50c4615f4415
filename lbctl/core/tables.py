"""What a Core keeps and what of it is replicated (G-SY4, guide page 5): the tables as data.

* the Admin Portal's database complete: users and devices, apps, policies and configurations, settings, logs and events;
* of the System Manager only the device and server certificates and the local users. Everything else of it (network, trusted hosts, the HA
  settings themselves) lives in the node's own files and is never seen by a sync: a Secondary that copied its Primary's mode would be lost;
* the "additional application and system files" that the guide names, as rows;
* Atlas data, where Atlas is enabled on both Cores; an Atlas-only server has no Admin Portal.

Every table has an integer key and a **stamp**: an odd 48-bit random number that each change of the row renews (by default for an insert, by
trigger for an update). A copied row keeps its stamp, so equal key and stamp mean equal row, whoever wrote it last and whichever Core
was active at the time. That is all the memory a sync needs: no counter that two sides could disagree on after a failover, and no list of
deletions. `(id, stamp)` is an index of its own, so that comparing a table reads a fiftieth of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

STAMP_BITS = 48
STAMP_MASK = (1 << STAMP_BITS) - 1
NEW_STAMP = f"((random() & {STAMP_MASK}) | 1)"


class Part(StrEnum):
    """Which portal a table belongs to."""

    ADMIN = "admin"
    SYSTEM = "system"
    ATLAS = "atlas"


@dataclass(frozen=True, slots=True)
class Table:
    """One replicated table: its columns beside `id` and `stamp`, as SQL declarations; `unique` names the one that may not repeat."""

    name: str
    part: Part
    declarations: tuple[str, ...]
    unique: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns in the order in which rows travel: the key first, the stamp last."""
        return ("id", *(declaration.split()[0] for declaration in self.declarations), "stamp")

    @property
    def schema(self) -> str:
        """The SQL that creates it; may run any number of times."""
        body = ", ".join(("id INTEGER PRIMARY KEY", *self.declarations, f"stamp INTEGER NOT NULL DEFAULT {NEW_STAMP}"))
        return _SCHEMA.format(name=self.name, body=body, stamp=NEW_STAMP) + self.unique_index

    @property
    def unique_index(self) -> str:
        """The SQL of the index that keeps `unique` so, or nothing. It is apart from the table, so that a large sync may build it last."""
        return f"CREATE UNIQUE INDEX IF NOT EXISTS {self.name}_unique ON {self.name} ({self.unique});\n" if self.unique else ""


_SCHEMA = """
CREATE TABLE IF NOT EXISTS {name} ({body});
CREATE INDEX IF NOT EXISTS {name}_stamps ON {name} (id, stamp);
CREATE TRIGGER IF NOT EXISTS {name}_changed AFTER UPDATE ON {name} WHEN new.stamp = old.stamp
BEGIN UPDATE {name} SET stamp = {stamp} WHERE id = new.id; END;
"""

_ALL = (
    Table("users", Part.ADMIN, ("name TEXT NOT NULL", "display TEXT", "email TEXT", "ldap_dn TEXT", "locale TEXT", "created INTEGER"), "name"),
    Table(
        "devices",
        Part.ADMIN,
        (
            "uuid TEXT NOT NULL", "user_id INTEGER", "serial TEXT", "imei TEXT", "wifi_mac TEXT", "platform TEXT", "model TEXT",
            "os_version TEXT", "status TEXT", "compliant INTEGER", "push_token TEXT", "registered INTEGER", "last_check_in INTEGER",
        ),
        "uuid",
    ),
    Table("apps", Part.ADMIN, ("bundle_id TEXT NOT NULL", "name TEXT", "platform TEXT", "version TEXT", "size_bytes INTEGER", "description TEXT")),
    Table("policies", Part.ADMIN, ("name TEXT NOT NULL", "kind TEXT", "priority INTEGER", "body TEXT")),
    Table("configs", Part.ADMIN, ("name TEXT NOT NULL", "kind TEXT", "body TEXT")),
    Table("settings", Part.ADMIN, ("name TEXT NOT NULL", "value TEXT"), "name"),
    Table("logs", Part.ADMIN, ("at INTEGER", "level TEXT", "module TEXT", "message TEXT")),
    Table("events", Part.ADMIN, ("at INTEGER", "kind TEXT", "device_id INTEGER", "actor TEXT", "detail TEXT")),
    Table("files", Part.ADMIN, ("path TEXT NOT NULL", "content TEXT"), "path"),
    Table(
        "certificates",
        Part.SYSTEM,
        ("kind TEXT NOT NULL", "subject TEXT", "serial TEXT", "device_id INTEGER", "not_before INTEGER", "not_after INTEGER", "pem TEXT"),
    ),
    Table("local_users", Part.SYSTEM, ("name TEXT NOT NULL", "password_hash TEXT NOT NULL", "role TEXT", "created INTEGER"), "name"),
    Table("atlas_reports", Part.ATLAS, ("name TEXT NOT NULL", "owner TEXT", "definition TEXT", "created INTEGER")),
    Table("atlas_metrics", Part.ATLAS, ("at INTEGER", "name TEXT", "value REAL")),
)

TABLES: Mapping[str, Table] = MappingProxyType({table.name: table for table in _ALL})

PARTS_LABELS: Mapping[Part, str] = MappingProxyType(
    {Part.ADMIN: "Admin Portal database", Part.SYSTEM: "System Manager certificates and local users", Part.ATLAS: "Atlas data"}
)


def replicated(*, atlas: bool, core: bool) -> tuple[Table, ...]:
    """The tables that a sync copies. `atlas`: enabled on both sides; `core`: false between two Atlas-only servers."""
    parts = {Part.SYSTEM}
    if core:
        parts.add(Part.ADMIN)
    if atlas:
        parts.add(Part.ATLAS)
    return tuple(table for table in _ALL if table.part in parts)


SCHEMA = "".join(table.schema for table in _ALL)
