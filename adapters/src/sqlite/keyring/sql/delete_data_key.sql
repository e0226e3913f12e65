delete from data_key where merchant = ?1 and purpose = ?2
