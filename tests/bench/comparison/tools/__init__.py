"""The tools that are compared, by the names that --only takes."""
from .borg import Borg
from .casync import Casync
from .null import Null
from .passthrough import Passthrough
from .plain_copy import PlainCopy
from .restic import Restic
from .squashfuse import Squashfuse
from .varve import Varve

TOOLS = {tool.name: tool for tool in (PlainCopy, Null, Passthrough, Restic, Borg, Casync, Squashfuse, Varve)}
