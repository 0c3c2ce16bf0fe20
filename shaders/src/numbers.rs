//! The numbers of the curve, as 32-bit words, little endian: shared by the WGSL and the twin.

/// ℓ, the order of the base point.
pub(crate) const GROUP_ORDER: [u32; 8] = [0x5cf5_d3ed, 0x5812_631a, 0xa2f7_9cd6, 0x14de_f9de, 0, 0, 0, 0x1000_0000];

/// d = −121665/121666.
pub(crate) const D: [u32; 8] =
    [0x1359_78a3, 0x75eb_4dca, 0x4141_d8ab, 0x0070_0a4d, 0x7779_e898, 0x8cc7_4079, 0x2b6f_fe73, 0x5203_6cee];

/// 2d.
pub(crate) const TWICE_D: [u32; 8] =
    [0x26b2_f159, 0xebd6_9b94, 0x8283_b156, 0x00e0_149a, 0xeef3_d130, 0x198e_80f2, 0x56df_fce7, 0x2406_d9dc];

/// A square root of −1.
pub(crate) const SQRT_MINUS_ONE: [u32; 8] =
    [0x4a0e_a0b0, 0xc4ee_1b27, 0xad2f_e478, 0x2f43_1806, 0x3dfb_d7a7, 0x2b4d_0099, 0x4fc1_df0b, 0x2b83_2480];

/// y of the points whose order divides 8: orders 4, 1, 2, and twice 8. The sign of x is left out, so that both points
/// with such a y are meant, and the encodings of x = 0 with the sign bit set.
pub(crate) const SMALL_ORDER_Y: [[u32; 8]; 5] = [
    [0; 8],
    [1, 0, 0, 0, 0, 0, 0, 0],
    [0xffff_ffec, !0, !0, !0, !0, !0, !0, 0x7fff_ffff],
    [0x706a_17c7, 0x4fd8_4d3d, 0x760b_3cba, 0x0f67_100d, 0xfa53_202a, 0xc6cc_392c, 0x77fd_c74e, 0x7a03_ac92],
    [0x8f95_e826, 0xb027_b2c2, 0x89f4_c345, 0xf098_eff2, 0x05ac_dfd5, 0x3933_c6d3, 0x8802_38b1, 0x05fc_536d],
];

/// The base point B, x and y.
pub(crate) const BASE: [[u32; 8]; 2] = [
    [0x8f25_d51a, 0xc956_2d60, 0x9525_a7b2, 0x692c_c760, 0xfdd6_dc5c, 0xc0a4_e231, 0xcd6e_53fe, 0x2169_36d3],
    [0x6666_6658, 0x6666_6666, 0x6666_6666, 0x6666_6666, 0x6666_6666, 0x6666_6666, 0x6666_6666, 0x6666_6666],
];

/// Windows of 8 bits in a scalar, each with the multiples of B from 0 to 128.
pub(crate) const BASE_WINDOWS: usize = 32;
/// Multiples of B in a window.
pub(crate) const BASE_ENTRIES: usize = 129;

/// The round constants of SHA-512 (FIPS 180-4).
pub const SHA512_ROUNDS: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
];
