for d in /proc/[0-9]*; do
  IFS= read -r l <"$d/stat" && printf "%s\n" "$l"
  while IFS= read -r -d "" a || [ -n "$a" ]; do printf "%s\0" "$a"; done <"$d/cmdline"
done
