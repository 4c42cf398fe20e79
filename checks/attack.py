"""Small attacks of our own that give a check its incidents and actions."""

from rig import request

SITES = """  - name: app
    hosts: [app.test]
    upstreams: [{{ url: 'http://127.0.0.1:{app}' }}]
    routes:
      - match: POST /login
        action: login
        account: ["form:username"]
        outcome:
          - {{ when: response.status == 200, result: success }}
          - {{ when: response.status == 401, result: failure, reason: bad-password }}
"""

# Sources of credential stuffing are blocked as soon as somebody says yes.
POLICY = """policies:
  - policy: check-block-sources
    version: 1
    title: { ko: 발신지 차단, en: Block the sources, ja: 発信元を遮断 }
    when: { rules: ["credential-stuffing", "password-spraying"], entity: address }
    then:
      - { rung: block, target: address, ttl: 1h, approval: always, approval_deadline: 1h }
"""


def login(address, account, password):
    body = f"username={account}&password={password}".encode()
    return request("POST", "/login", "app.test", body,
                   [("Content-Type", "application/x-www-form-urlencoded"), ("X-Forwarded-For", address)])


def visit(address):
    return request("GET", "/page", "app.test", headers=[("X-Forwarded-For", address)])


def stuff(wire, address, first, accounts=16):
    """Many accounts, each with its own wrong password, from one address."""
    for n in range(accounts):
        wire.ask(login(address, f"user{first + n:05d}", f"wrong-{first + n}"))


def address_of(n):
    return f"203.0.{113 + n // 200}.{n % 200 + 10}"
