update space_probe set filler = x''
