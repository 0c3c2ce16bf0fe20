// Where the keys and signatures of an upload of signatures lie.

fn key_at(item: u32) -> u32 {
    return ARRAYS + 8u * item;
}

fn signature_at(count: u32, item: u32) -> u32 {
    return ARRAYS + 8u * count + 16u * item;
}
