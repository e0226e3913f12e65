select uuid, epoch from store
