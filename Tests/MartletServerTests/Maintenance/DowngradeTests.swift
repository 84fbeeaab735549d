import EtcdAPI
import Testing

@testable import MartletServer

@Suite struct DowngradeTests {
    @Test(arguments: [
        ("3.5.0", EtcdError.invalidDowngradeTargetVersion), ("3.5", .invalidDowngradeTargetVersion),
        ("3.6.0", .invalidDowngradeTargetVersion), ("2.0.0", .invalidDowngradeTargetVersion),
        ("", .invalidDowngradeTargetVersionFormat), ("3", .invalidDowngradeTargetVersionFormat),
        ("3.", .invalidDowngradeTargetVersionFormat), ("a.b", .invalidDowngradeTargetVersionFormat),
        ("3.5.0.1", .invalidDowngradeTargetVersionFormat), ("-3.5", .invalidDowngradeTargetVersionFormat),
        ("3.99999999999999999999", .invalidDowngradeTargetVersionFormat),
    ])
    func `there is no version to go back to`(version: String, expected: EtcdError) {
        #expect(MaintenanceService.refusal(of: .validate, to: version) == expected)
        #expect(MaintenanceService.refusal(of: .enable, to: version) == expected)
        #expect(MaintenanceService.refusal(of: .cancel, to: version) == .noInflightDowngrade)
    }
}
