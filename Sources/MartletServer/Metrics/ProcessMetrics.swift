import Foundation

/// `process_*` and `os_fd_*`, from /proc; read once a scrape.
enum ProcessMetrics {
    static func families() -> [MetricFamily] {
        let figures = ProcessFigures.now()
        return [
            MetricFamily(.gauge, "process_resident_memory_bytes", "Resident memory size in bytes.") {
                Double(figures.residentBytes)
            },
            MetricFamily(.gauge, "process_virtual_memory_bytes", "Virtual memory size in bytes.") {
                Double(figures.virtualBytes)
            },
            MetricFamily(
                .counter, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds."
            ) { figures.cpuSeconds },
            MetricFamily(
                .gauge, "process_start_time_seconds", "Start time of the process since unix epoch in seconds."
            ) { ProcessFigures.startTime },
            MetricFamily(.gauge, "process_open_fds", "Number of open file descriptors.") {
                Double(figures.descriptors)
            },
            MetricFamily(.gauge, "process_max_fds", "Maximum number of open file descriptors.") {
                Double(figures.descriptorsMax)
            },
            MetricFamily(.gauge, "os_fd_used", "The number of used file descriptors.") {
                Double(figures.descriptors)
            },
            MetricFamily(.gauge, "os_fd_limit", "The file descriptor limit.") { Double(figures.descriptorsMax) },
            MetricFamily(.gauge, "martlet_process_threads", "Threads of the process.") { Double(figures.threads) },
        ]
    }
}
