# What a container runtime does between a pod's manifest and its process, in a mount namespace that is a slave of the host's:
#   run-container.sh ROOT CAPABILITIES MOUNTS PROGRAM ARGUMENT...
# CAPABILITIES are those that it is not to have. MOUNTS, a line each: "bind|rslave|tmpfs ro|rw TARGET SOURCE".
set -eu
root=$1 drop=$2 mounts=$3 program=$4
shift 4
mount --bind "$root" "$root"

# As every container has them.
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
  : >"$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"

while read -r kind access target source; do
  case $kind in
  '') continue ;;
  tmpfs) mount -t tmpfs tmpfs "$root$target" ;;
  rslave) mount --rbind "$source" "$root$target" && mount --make-rslave "$root$target" ;;
  bind) mount --rbind "$source" "$root$target" && mount --make-rprivate "$root$target" ;;
  esac
  [ "$access" = rw ] || mount -o remount,bind,ro "$root$target"
done <<END
$mounts
END
mount -o remount,bind,ro "$root"

exec capsh --no-new-privs --drop="$drop" --chroot="$root" --shell="$program" -- "$@"
