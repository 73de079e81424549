"""Goal: Who opens the name during many renames over it always finds a whole old or new file."""
from behaviour import *

put("name", b"0" * 3000)
def rename_often():
    for i in range(150):
        put("new", b"%d" % (i % 10) * 3000)
        os.rename("new", "name")
writer = Child(rename_often)
seen = 0
while not select.select([writer.reading], [], [], 0)[0]:
    data = get("name")
    equal(len(data), 3000)
    equal(set(data), {data[0]})
    seen += 1
writer.result()
assert seen > 0
