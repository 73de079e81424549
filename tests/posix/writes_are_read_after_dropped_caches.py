"""Goal: What was written, in files small and large, is there when the kernel has forgotten its pages."""
from behaviour import *

data = os.urandom(3_000_000)
put("large", data)
put("small", b"small")
os.mkdir("d")
put("d/file", data[:5000])
os.sync()
with open("/proc/sys/vm/drop_caches", "w") as drop:
    drop.write("3")
equal(get("large") == data, True)
equal((get("small"), get("d/file")), (b"small", data[:5000]))
