"""What schemathesis cannot know of the API: how text is sent, and that nobody wants to wait a minute."""

import schemathesis


@schemathesis.serializer("application/toml", "text/dns")
def text(_, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def before_call(_, case, __):
    if not case.operation.path.endswith("/wait"):
        return
    query = case.query if isinstance(case.query, dict) else {}
    try:
        waits = float(query.get("timeout", 10)) > 0.05
    except (TypeError, ValueError):
        # It is refused at once.
        return
    if waits:
        case.query = {**query, "timeout": 0.05}
