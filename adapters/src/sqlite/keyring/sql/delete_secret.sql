delete from secret where merchant = ?1 and purpose = ?2 and key_id = ?3
