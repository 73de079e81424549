"""Goal: A unix socket is bound to a name here and reached by it; opening it is ENXIO, binding again EADDRINUSE."""
from behaviour import *

server = socket.socket(socket.AF_UNIX)
server.bind("socket")
server.listen()
assert stat.S_ISSOCK(os.stat("socket").st_mode)
client = socket.socket(socket.AF_UNIX)
client.connect("socket")
accepted, _ = server.accept()
client.sendall(b"hello")
equal(accepted.recv(10), b"hello")
refused(errno.ENXIO, os.open, "socket", os.O_RDONLY)
refused(errno.EADDRINUSE, socket.socket(socket.AF_UNIX).bind, "socket")
