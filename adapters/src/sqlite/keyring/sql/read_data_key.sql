select key_id, wrapped from data_key where merchant = ?1 and purpose = ?2
