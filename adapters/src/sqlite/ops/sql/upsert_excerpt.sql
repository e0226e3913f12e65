insert or replace into excerpt (delivery, generation, attempt_no, nonce, bytes, at_ms) values (?1, ?2, ?3, ?4, ?5, ?6)
