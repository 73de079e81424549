# Shared by the end-to-end tests that use sshfs, sourced behind lib.sh: an ssh server on the loopback of the test's own, which ends with it.
#
# $scratch/far is the far end's directory, $scratch/near the mountpoint, $sshfs the process that serves it.

start_ssh() {
  mkdir -p "$scratch/far" "$scratch/near" "$scratch/ssh" /run/sshd
  chmod 700 "$scratch/ssh"
  ssh-keygen -q -t ed25519 -N '' -f "$scratch/ssh/host"
  ssh-keygen -q -t ed25519 -N '' -f "$scratch/ssh/user"
  port=$((20000 + RANDOM % 20000))
  cat >"$scratch/ssh/config" <<EOF
Port $port
ListenAddress 127.0.0.1
HostKey $scratch/ssh/host
AuthorizedKeysFile $scratch/ssh/user.pub
PidFile $scratch/ssh/pid
StrictModes no
UsePAM no
PermitRootLogin yes
Subsystem sftp internal-sftp
EOF
  /usr/sbin/sshd -f "$scratch/ssh/config" -E "$scratch/ssh/log"
  trap 'code=$?; end_ssh; (exit $code) && true; cleanup' EXIT
}
end_ssh() {
  kill "$(cat "$scratch/ssh/pid")" 2>/dev/null || true
  [ -z "${sshfs:-}" ] || kill -KILL "$sshfs" 2>/dev/null || true
}
mount_sshfs() {
  sshfs -f -p "$port" -o "IdentityFile=$scratch/ssh/user,StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,BatchMode=yes,LogLevel=ERROR" \
    "root@127.0.0.1:$scratch/far" "$scratch/near" 2>"$scratch/ssh/sshfs-log" &
  sshfs=$!
  local i
  for ((i = 0; i < 200; i++)); do mountpoint -q "$scratch/near" && return; sleep 0.1; done
  fail "sshfs: $(cat "$scratch/ssh/sshfs-log" "$scratch/ssh/log")"
}
