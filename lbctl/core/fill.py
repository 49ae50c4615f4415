"""Data as a Core of a certain size has it, for demonstrations, tests and figures. The same seed gives the same data.

Proportions: two users for three devices, an event for every fifth device, a log line for every tenth, a device certificate for every fiftieth;
apps, policies, configurations and settings in fixed numbers, as administrators make them. Identifiers are random like real ones, so that the
bytes of a sync are no kinder than in life.
"""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from collections.abc import Mapping
from random import Random

from lbctl.core.database import Database, insert
from lbctl.core.tables import TABLES

MODELS = (("iOS", "iPhone 12", "14.6"), ("iOS", "iPad Air", "14.6"), ("Android", "Pixel 5", "11"), ("Android", "Galaxy S21", "11"))
FIRST = ("Ada", "Ben", "Chen", "Dilip", "Eva", "Farid", "Grace", "Hana", "Ivan", "Joana", "Kofi", "Lena", "Mateo", "Nadia", "Olu", "Petra")
LAST = ("Abe", "Berg", "Costa", "Diaz", "Evans", "Fischer", "Garcia", "Haddad", "Ito", "Jones", "Khan", "Lopez", "Meyer", "Novak", "Okoro", "Patel")
EPOCH = 1_625_000_000
MONTH_S = 30 * 86400

Values = Mapping[str, object]


async def fill(database: Database, *, devices: int, seed: int = 11, start: int = 1) -> None:
    """Adds `devices` devices and what belongs to them, as one transaction; keys begin at `start`.

    A second call with a later `start` makes the Core grow. Raises sqlite3.IntegrityError where the keys are taken.
    """
    await database.file.write(lambda connection: _fill(connection, devices, Random(seed + start), start))  # noqa: S311 - data, not secrets


def _fill(connection: sqlite3.Connection, devices: int, random: Random, start: int) -> None:
    end = start + devices
    insert(connection, TABLES["users"], (_user(random, key) for key in range(start, end) if key % 3))
    insert(connection, TABLES["devices"], (_device(random, key) for key in range(start, end)))
    insert(connection, TABLES["events"], (_event(random, key) for key in range(start, end, 5)))
    insert(connection, TABLES["logs"], (_log(random, key) for key in range(start, end, 10)))
    insert(connection, TABLES["certificates"], (_certificate(random, key) for key in range(start, end, 50)))
    insert(connection, TABLES["atlas_metrics"], (_metric(key) for key in range(start, end, 100)))
    if start == 1:
        for table, rows in _made_by_administrators(random).items():
            insert(connection, TABLES[table], rows)


def _user(random: Random, key: int) -> Values:
    first, last = random.choice(FIRST), random.choice(LAST)
    name = f"{first}.{last}{key}".lower()
    return {
        "id": key, "name": name, "display": f"{first} {last}", "email": f"{name}@example.com",
        "ldap_dn": f"uid={name},ou=people,dc=example,dc=com", "locale": "en_US", "created": EPOCH + random.randrange(MONTH_S),
    }


def _device(random: Random, key: int) -> Values:
    platform, model, version = random.choice(MODELS)
    noise = random.randbytes(48).hex()
    return {
        "id": key, "uuid": f"{noise[:8]}-{noise[8:12]}-{noise[12:16]}-{noise[16:20]}-{noise[20:32]}", "user_id": key - (key % 3 == 0),
        "serial": noise[32:44].upper(), "imei": str(random.randrange(10**14, 10**15)), "wifi_mac": noise[44:56], "platform": platform, "model": model,
        "os_version": version, "status": "Active", "compliant": int(random.random() < 0.97), "push_token": noise[56:],
        "registered": EPOCH + random.randrange(MONTH_S), "last_check_in": EPOCH + MONTH_S + random.randrange(86400),
    }


def _event(random: Random, key: int) -> Values:
    return {
        "id": key, "at": EPOCH + MONTH_S + key, "kind": "device-check-in", "device_id": key, "actor": "system",
        "detail": f"{random.randrange(900)} ms",
    }


def _metric(key: int) -> Values:
    return {"id": key, "at": EPOCH + key, "name": "devices", "value": float(key)}


def _log(random: Random, key: int) -> Values:
    return {"id": key, "at": EPOCH + MONTH_S + key, "level": "INFO", "module": "MIFS", "message": f"request {random.getrandbits(64):016x} done"}


def _certificate(random: Random, key: int) -> Values:
    body = b64encode(random.randbytes(480)).decode()
    return {
        "id": key, "kind": "device", "subject": f"CN=device-{key}", "serial": f"{random.getrandbits(64):016x}", "device_id": key,
        "not_before": EPOCH, "not_after": EPOCH + 12 * MONTH_S, "pem": f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n",
    }


def _made_by_administrators(random: Random) -> dict[str, list[Values]]:
    apps = [("com.example.mail", "Mail+"), ("com.example.docs", "Docs@Work"), ("com.example.web", "Web@Work"), ("com.example.tunnel", "Tunnel")]
    return {
        "apps": [
            {"id": n + 1, "bundle_id": f"{apps[n % 4][0]}{n}", "name": apps[n % 4][1], "platform": MODELS[n % 4][0], "version": f"3.{n}",
             "size_bytes": random.randrange(10**6, 10**8), "description": f"{apps[n % 4][1]} for everybody at work. " * 4}
            for n in range(120)
        ],
        "policies": [
            {"id": n + 1, "name": f"Policy {n}", "kind": ("security", "privacy", "lockdown")[n % 3], "priority": n, "body": '{"passcode": true}'}
            for n in range(40)
        ],
        "configs": [{"id": n + 1, "name": f"Config {n}", "kind": ("wifi", "vpn", "exchange")[n % 3], "body": '{"ssid": "work"}'} for n in range(60)],
        "settings": [{"id": n + 1, "name": f"setting.{n}", "value": str(random.randrange(100))} for n in range(80)],
        "files": [{"id": 1, "path": "/mi/files/branding.css", "content": "body { color: #123456 }\n"}],
        "certificates": [
            {"id": 1 << 40, "kind": "server", "subject": "CN=core.example.com", "serial": "01", "device_id": None, "not_before": EPOCH,
             "not_after": EPOCH + 12 * MONTH_S, "pem": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"},
        ],
        "atlas_reports": [{"id": 1, "name": "Devices by platform", "owner": "admin", "definition": "{}", "created": EPOCH}],
    }
