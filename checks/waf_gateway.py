"""Our side of the WAF checks, whole: `plura gateway` with a rule set, before a backend, without a server."""

import re
import secrets
from pathlib import Path

from rig import Child, _listens as listens, free_port, secret_file, wait_for
from waf_peer import Front

CONFIG = """gateway: check-waf
workers: 1
listeners: [{{address: 127.0.0.1:{port}}}]
admin: 127.0.0.1:{admin}
key_file: key
state_dir: state
{log}rule_sets:
  crs: {{files: [{files}], base: false}}
sites:
  - name: shop
    hosts: ['*']
    upstreams: [{{url: 'http://127.0.0.1:{backend}'}}]
    waf: [{{rules: crs, stage: {stage}, paranoia: {paranoia}, body_bytes_max: 131072}}]
"""
RULE = re.compile(rb'\[id "(\d+)"\]')


class Gateway(Front):
    """Built and run as anybody would: `plura gateway --config`. Its rule files say all, as they do for the peer
    (`base: false`)."""

    name = "ours, a gateway"

    def __init__(self, plura, folder, files, backend, paranoia=1, stage="enforce", log=False, connections=4):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        port, admin = free_port(), free_port()
        self.log = self.folder / "waf.log"
        secret_file(self.folder / "key", secrets.token_hex(32))
        config = self.folder / "gateway.yaml"
        config.write_text(CONFIG.format(
            port=port, admin=admin, backend=backend, stage=stage, paranoia=paranoia,
            files=", ".join(f"'{file}'" for file in files), log="waf_log: waf.log\n" if log else ""))
        self.child = Child("gateway", [str(plura), "gateway", "--config", str(config)], self.folder)
        try:
            wait_for("the gateway", lambda: listens(port, self.child), 60)
        except BaseException:
            self.close()
            raise
        super().__init__(port, connections=connections)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def ids_of(self, raw):
        """Rules that match a request, asked alone; for a gateway with a log."""
        before = self.log.stat().st_size
        self.ask([raw])
        # Lines are there before the answer is.
        with open(self.log, "rb") as log:
            log.seek(before)
            return tuple(sorted({int(found) for found in RULE.findall(log.read())}))

    def close(self):
        self.child.stop(10)
