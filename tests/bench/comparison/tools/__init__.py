"""The tools that are compared, by the names that --only takes."""
from .borg import Borg
from .null import Null
from .plain_copy import PlainCopy
from .restic import Restic
from .varve import Varve

TOOLS = {tool.name: tool for tool in (PlainCopy, Null, Restic, Borg, Varve)}
