# Shared by the end-to-end tests that use sshfs, sourced behind lib.sh: an ssh server of the test's own, which ends with it: on the loopback or, with
# line.sh, at the far end of a bad line.
#
# $scratch/far is the far end's directory, $scratch/near the mountpoint, $sshfs the process that serves it.
near_in=() far_in=()  # what runs a command at that end
far_address=127.0.0.1

start_ssh() {
  mkdir -p "$scratch/far" "$scratch/near" "$scratch/ssh" /run/sshd
  chmod 700 "$scratch/ssh"
  ssh-keygen -q -t ed25519 -N '' -f "$scratch/ssh/host"
  ssh-keygen -q -t ed25519 -N '' -f "$scratch/ssh/user"
  port=$((20000 + RANDOM % 20000))
  cat >"$scratch/ssh/config" <<END
Port $port
ListenAddress $far_address
HostKey $scratch/ssh/host
AuthorizedKeysFile $scratch/ssh/user.pub
PidFile $scratch/ssh/pid
StrictModes no
UsePAM no
UseDNS no
MaxStartups 100
PermitRootLogin yes
Subsystem sftp internal-sftp
END
  "${far_in[@]}" /usr/sbin/sshd -f "$scratch/ssh/config" -E "$scratch/ssh/log"
  [ ${#far_in[@]} -gt 0 ] || trap 'code=$?; end_ssh; (exit $code) && true; cleanup' EXIT
}
end_ssh() {
  local child
  # What serves a connection outlives the server, and over a line that is cut the connection too.
  [ ! -e "$scratch/ssh/pid" ] || for child in $(cat "$scratch/ssh/pid") $(pgrep -P "$(cat "$scratch/ssh/pid")"); do
    kill "$child" 2>/dev/null || true
  done
  [ -z "${sshfs:-}" ] || end_sshfs
}
end_sshfs() {  # at once, whatever the line does
  kill -KILL "$sshfs" 2>/dev/null || true
  pkill -KILL -f "IdentityFile=$scratch/ssh/user" || true  # its connections, which are nobody's children
}
mount_sshfs() {  # mount_sshfs [OPTIONS]
  "${near_in[@]}" sshfs -f -p "$port" \
    -o "IdentityFile=$scratch/ssh/user,StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,BatchMode=yes,LogLevel=ERROR${1:+,$1}" \
    "root@$far_address:$scratch/far" "$scratch/near" 2>"$scratch/ssh/sshfs-log" &
  sshfs=$!
  local i
  for ((i = 0; i < 200; i++)); do mountpoint -q "$scratch/near" && return; sleep 0.1; done
  fail "sshfs: $(cat "$scratch/ssh/sshfs-log" "$scratch/ssh/log")"
}
