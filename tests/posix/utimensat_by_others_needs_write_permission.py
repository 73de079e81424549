"""Goal: Who may write a file may set its times to now, both of them; only the owner may set others."""
from behaviour import *

put("writable")
os.chmod("writable", 0o666)
put("readable", mode=0o644)
def user():
    os.utime("writable")
    utimens("writable", (0, UTIME_NOW), (0, UTIME_NOW))
    refused(errno.EPERM, utimens, "writable", (0, UTIME_NOW), (0, UTIME_OMIT))
    refused(errno.EPERM, utimens, "writable", (1, 1), (1, 1))
    refused(errno.EACCES, os.utime, "readable")
    utimens("readable", (0, UTIME_OMIT), (0, UTIME_OMIT))
as_user(user)
