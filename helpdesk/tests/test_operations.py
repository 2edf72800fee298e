"""docs/operations.md is true: it names every variable that the settings read."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_variable_of_the_settings_is_documented() -> None:
    settings = (REPOSITORY / "helpdesk" / "settings.py").read_text()
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", settings))
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", (REPOSITORY / "docs" / "operations.md").read_text(), re.M))
    assert {"SECRET_KEY", "DATABASE_URL", "ALLOWED_HOSTS"} <= read
    assert read <= documented
    assert documented - read == {"TEST_DATABASE_URL", "TEST_REDIS_URL"}
