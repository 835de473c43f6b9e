"""What the benches share: where the programs are, rows to load, and databases of their own."""

import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RELEASE = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release")
ENSEMBLE = os.path.join(RELEASE, "ensemble")


def generate(path, *options, ensemble=ENSEMBLE):
    with open(path, "wb") as out:
        subprocess.run([ensemble, "generate", *options], stdout=out, check=True)


def with_database(uri, database):
    """The connection string for another database."""
    address, _, options = uri.partition("?")
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.split('/')[0]}/{database}" + (f"?{options}" if options else "")
