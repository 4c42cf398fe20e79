"""OpenID AuthZEN's certification scenario (openid/authzen, certification/authorization-api-1_0-scenario.md):
alice, bob, two records, eight decisions. The same as in crates/server/tests/trust_authzen.rs."""

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"

GRANTS = """
  - {subjects: [alice, bob], actions: [read], resources: ["record:record-1", "record:record-2"]}
  - {subjects: [alice], actions: [write], resources: ["record:record-1", "record:record-2"], unless: {resource: {status: archived}}}
  - {subjects: [alice], actions: [delete], resources: ["record:record-1"], when: {action: {soft: true}}}
  - {subjects: [bob], actions: [write], resources: ["record:*"], when: {resource: {status: archived}, subject: {role: admin}}}
"""


def asks(subject, action, resource, /, **properties):
    """A whole question; `properties` by part: `resource={"status": "archived"}`."""
    question = {
        "subject": {"type": "user", "id": subject},
        "action": {"name": action},
        "resource": {"type": "record", "id": resource},
    }
    for part, values in properties.items():
        question[part]["properties"] = values
    return question


ARCHIVED = {"status": "archived"}
EIGHT = [
    (asks("alice", "read", "record-1"), True),
    (asks("alice", "write", "record-1"), True),
    (asks("bob", "read", "record-1"), True),
    (asks("bob", "write", "record-1"), False),
    (asks("alice", "write", "record-2", resource=ARCHIVED), False),
    (asks("bob", "write", "record-2", resource=ARCHIVED, subject={"role": "admin"}), True),
    (asks("alice", "delete", "record-1", action={"soft": True}), True),
    (asks("alice", "delete", "record-1", action={"soft": False}), False),
]
