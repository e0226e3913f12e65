select merchant, purpose, wrapped from data_key where key_id = ?1
