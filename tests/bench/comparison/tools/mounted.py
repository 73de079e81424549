"""Tools that are a mount: what is copied into it, and how."""
from ..measuring import measure, shell
from .tool import Tool

# {source}: a folder of the data. {target}: a folder of the mount, which is there.
LARGE_DOORS = {
    "cp": "cp {source}/* {target}/",
    "rsync": "rsync -a --inplace --whole-file {source}/ {target}/",
}
SMALL_DOORS = {
    "cp -a": "cp -a {source}/. {target}/",
    "rsync -a": "rsync -a {source}/ {target}/",
    "tar": "tar -C {source} -cf - . | tar -C {target} -xf -",
}
UNCHANGED = "rsync -a --delete {source}/ {target}/"


class MountedTool(Tool):
    """The mount is self.mount, a Mount, while a scenario runs."""

    mount = None

    def target(self):
        """The folder of the mount that is copied into."""
        return self.mount.mountpoint / "set"

    def finish(self):
        """What a copy needs to count as saved."""

    def copied(self, command, kind):
        self.target().mkdir(exist_ok=True)
        with measure(self.mount) as result:
            shell(command.format(source=self.data.folder(kind), target=self.target()))
            self.finish()
        return result

    def close(self):
        if self.mount:
            self.mount.kill()
