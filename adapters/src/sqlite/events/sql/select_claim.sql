select owner, detail, generation from claim where space = ?1 and key = ?2
