# Process 1 of a node, in a process namespace and a mount namespace that are the node's: starts a container and ends with it.
here=${0%/*}
unshare --mount --propagation slave sh "$here/run-container.sh" "$@" &
wait $!
