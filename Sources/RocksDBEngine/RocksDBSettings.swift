import CRocksDB

/// What RocksDB is told when a database is opened: small memory, whole commits, checked blocks (decision 0022).
@safe final class RocksDBSettings {
    let handle: OpaquePointer
    private let cache: OpaquePointer
    private let tables: OpaquePointer

    /// `InfoLogLevel::WARN_LEVEL` of rocksdb/env.h.
    private static let warnings: Int32 = 2
    private static let pointInTimeRecovery = Int32(rocksdb_point_in_time_recovery)
    private static let twoLevelIndex = Int32(rocksdb_block_based_table_index_type_two_level_index_search)
    private static let lz4 = Int32(rocksdb_lz4_compression)
    private static let zstd = Int32(rocksdb_zstd_compression)

    init(_ options: RocksDBEngine.Options, isNew: Bool) {
        unsafe handle = rocksdb_options_create()
        // Few shards: each is a share of the limit, and what is larger than one is not kept.
        let limits = unsafe rocksdb_lru_cache_options_create()
        unsafe rocksdb_lru_cache_options_set_capacity(limits, options.blockCacheBytes)
        unsafe rocksdb_lru_cache_options_set_num_shard_bits(limits, 2)
        unsafe cache = rocksdb_cache_create_lru_opts(limits)
        unsafe rocksdb_lru_cache_options_destroy(limits)
        unsafe tables = rocksdb_block_based_options_create()

        // Of one that is there already, a missing file is damage and not a reason to begin anew.
        unsafe rocksdb_options_set_create_if_missing(handle, isNew ? 1 : 0)
        unsafe rocksdb_options_set_paranoid_checks(handle, 1)
        // All commits are synced. A log's record that is not whole was never acknowledged; where it is damage instead,
        // the state goes back to the commit before it, and the member's own log goes on from there or refuses to
        // (RecoveredLog.reconcile).
        unsafe rocksdb_options_set_wal_recovery_mode(handle, Self.pointInTimeRecovery)

        unsafe rocksdb_options_set_write_buffer_size(handle, options.writeBufferBytes)
        unsafe rocksdb_options_set_max_write_buffer_number(handle, 2)
        unsafe rocksdb_options_set_max_open_files(handle, Int32(clamping: options.openFilesMax))
        unsafe rocksdb_options_set_max_background_jobs(handle, 2)
        unsafe rocksdb_options_set_level_compaction_dynamic_level_bytes(handle, 1)
        // What a burst of writes left to the disk's cache would hold up the member's log behind it.
        unsafe rocksdb_options_set_bytes_per_sync(handle, 1 << 20)
        // Rows that were removed (by compaction of the keys' history) shall give their room back: a table in which
        // half of 4,096 rows in a row are removals is merged.
        unsafe rocksdb_options_add_compact_on_deletion_collector_factory(handle, 4_096, 2_048)

        unsafe rocksdb_options_set_compression(handle, Self.lz4)
        unsafe rocksdb_options_set_bottommost_compression(handle, Self.zstd)

        unsafe rocksdb_block_based_options_set_block_cache(tables, cache)
        unsafe rocksdb_block_based_options_set_block_size(tables, options.blockBytes)
        // Else indexes would lie beside the cache, and grow with the data. In two levels: a whole one may be larger
        // than the cache's shard, and would be read for each row.
        unsafe rocksdb_block_based_options_set_cache_index_and_filter_blocks(tables, 1)
        unsafe rocksdb_block_based_options_set_index_type(tables, Self.twoLevelIndex)
        unsafe rocksdb_block_based_options_set_pin_top_level_index_and_filter(tables, 1)
        unsafe rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(tables, 1)
        unsafe rocksdb_block_based_options_set_format_version(tables, 5)
        unsafe rocksdb_options_set_block_based_table_factory(handle, tables)

        // RocksDB's own report, in the file LOG.
        unsafe rocksdb_options_set_info_log_level(handle, Self.warnings)
        unsafe rocksdb_options_set_keep_log_file_num(handle, 2)
        unsafe rocksdb_options_set_max_log_file_size(handle, 1 << 20)
        unsafe rocksdb_options_set_stats_dump_period_sec(handle, 0)
        unsafe rocksdb_options_set_stats_persist_period_sec(handle, 0)
        unsafe rocksdb_options_set_max_manifest_file_size(handle, 4 << 20)
    }

    deinit {
        unsafe rocksdb_options_destroy(handle)
        unsafe rocksdb_block_based_options_destroy(tables)
        unsafe rocksdb_cache_destroy(cache)
    }
}
