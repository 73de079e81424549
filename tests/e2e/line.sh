# Shared by the tests of a bad line, sourced behind lib.sh and ssh.sh: two networks of the test's own, joined by bad_line, with sshd at the far end.
#
# start_line [OPTION OF bad_line]...; then start_ssh, mount_sshfs and mount_sshfs_at as without. $bad_line is the process that carries: SIGSTOP cuts
# the line. congestion_control NAME sets it at both ends, for connections that are made later. All of it ends with the test.

start_line() {
  local i end
  unshare --net sleep infinity &
  near_network=$!
  unshare --net sleep infinity &
  far_network=$!
  trap 'code=$?; end_ssh; end_line; (exit $code) && true; cleanup' EXIT
  for end in $near_network $far_network; do
    for ((i = 0; i < 200; i++)); do
      [ "$(readlink "/proc/$end/ns/net")" != "$(readlink /proc/self/ns/net)" ] && break
      sleep 0.05
    done
  done
  near_in=(nsenter "--net=/proc/$near_network/ns/net" --)
  far_in=(nsenter "--net=/proc/$far_network/ns/net" --)
  far_address=10.77.0.2
  carry_line "$@"
}
carry_line() {  # carry_line [OPTION OF bad_line]...: (again) with other ones; connections that are open live on
  local i
  [ -z "${bad_line:-}" ] || { kill -CONT "$bad_line"; kill "$bad_line"; wait "$bad_line" || true; }
  bad_line "/proc/$near_network/ns/net" "/proc/$far_network/ns/net" --seed "$seed" "$@" >"$scratch/line-log" 2>&1 &
  bad_line=$!
  for ((i = 0; i < 200; i++)); do grep -q ready "$scratch/line-log" && break; sleep 0.05; done
  grep -q ready "$scratch/line-log" || fail "bad_line: $(cat "$scratch/line-log")"
  "${near_in[@]}" ip address add 10.77.0.1/30 dev line
  "${far_in[@]}" ip address add 10.77.0.2/30 dev line
  "${near_in[@]}" ip link set line up
  "${far_in[@]}" ip link set line up
}
congestion_control() {
  "${near_in[@]}" sysctl -q -w "net.ipv4.tcp_congestion_control=$1"
  "${far_in[@]}" sysctl -q -w "net.ipv4.tcp_congestion_control=$1"
}
end_line() {
  [ -z "${bad_line:-}" ] || { kill -CONT "$bad_line"; kill "$bad_line"; } 2>/dev/null || true
  kill "$near_network" "$far_network" 2>/dev/null || true
}
