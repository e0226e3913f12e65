update space_probe set filler = zeroblob(1048576)
