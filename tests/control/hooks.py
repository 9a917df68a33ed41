"""What schemathesis cannot know of the API: how text is sent, and that nobody wants to wait a minute."""

import schemathesis


@schemathesis.serializer("application/toml", "text/dns")
def text(_, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def before_call(_, case, __):
    timeout = (case.query or {}).get("timeout")
    if isinstance(timeout, (int, float)) and timeout > 0.05:
        case.query["timeout"] = 0.05
