"""Goal: A file that an outsider creates executable and setgid in a setgid directory loses setgid."""
from behaviour import *

os.mkdir("shared")
os.chown("shared", 0, 4711)
os.chmod("shared", 0o2777)
as_user(lambda: os.close(os.open("shared/outsider", os.O_WRONLY | os.O_CREAT, 0o2755)))
equal(oct(mode_of("shared/outsider")), oct(0o755))
as_user(lambda: os.close(os.open("shared/member", os.O_WRONLY | os.O_CREAT, 0o2755)), groups=[4711])
equal(oct(mode_of("shared/member")), oct(0o2755))
