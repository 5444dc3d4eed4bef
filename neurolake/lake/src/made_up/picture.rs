//! Small grey pictures as real files: PNG, JPEG, TIFF.

/// A grey picture.
#[derive(Debug, Clone)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// Asks for the brightness of every pixel, from 0 (black) to 1 (white).
    pub fn new(width: usize, height: usize, mut brightness: impl FnMut(f64, f64) -> f64) -> Self {
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let value = brightness(x as f64 / width as f64, y as f64 / height as f64);
                pixels.push((value.clamp(0.0, 1.0) * 255.0) as u8);
            }
        }
        Self {
            width,
            height,
            pixels,
        }
    }

    /// As PNG, without compression.
    pub fn png(&self) -> Vec<u8> {
        let mut raw = Vec::with_capacity(self.pixels.len() + self.height);
        for line in self.pixels.chunks(self.width) {
            raw.push(0);
            raw.extend_from_slice(line);
        }
        let mut header = Vec::from(size(self.width).to_be_bytes());
        header.extend(size(self.height).to_be_bytes());
        header.extend([8, 0, 0, 0, 0]);

        let mut packed = vec![0x78, 0x01];
        let mut blocks = raw.chunks(0xffff).peekable();
        while let Some(block) = blocks.next() {
            packed.push(u8::from(blocks.peek().is_none()));
            let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
            packed.extend(length.to_le_bytes());
            packed.extend((!length).to_le_bytes());
            packed.extend_from_slice(block);
        }
        packed.extend(adler(&raw).to_be_bytes());

        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in [(b"IHDR", header), (b"IDAT", packed), (b"IEND", Vec::new())] {
            file.extend(size(data.len()).to_be_bytes());
            let start = file.len();
            file.extend_from_slice(kind);
            file.extend(data);
            let sum = crc(&file[start..]);
            file.extend(sum.to_be_bytes());
        }
        file
    }

    /// As baseline JPEG with one brightness for each block of 8 x 8 pixels.
    pub fn jpeg(&self) -> Vec<u8> {
        let (width, height) = (self.width / 8 * 8, self.height / 8 * 8);
        let mut file = vec![0xff, 0xd8];
        segment(&mut file, 0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
        // Quantized by 8 the mean of a block is its brightness.
        let mut table = vec![0];
        table.extend([8; 64]);
        segment(&mut file, 0xdb, &table);
        let mut frame = vec![8];
        frame.extend(short(height).to_be_bytes());
        frame.extend(short(width).to_be_bytes());
        frame.extend([1, 1, 0x11, 0]);
        segment(&mut file, 0xc0, &frame);
        // Twelve codes of four bits for differences, one code of one bit for "all else is zero".
        let mut codes = vec![0x00, 0, 0, 0, 12];
        codes.extend([0; 12]);
        codes.extend(0..12);
        segment(&mut file, 0xc4, &codes);
        let mut codes = vec![0x10, 1];
        codes.extend([0; 15]);
        codes.push(0);
        segment(&mut file, 0xc4, &codes);
        segment(&mut file, 0xda, &[1, 1, 0, 0, 63, 0]);

        let mut bits = Bits::default();
        let mut before = 0;
        for top in (0..height).step_by(8) {
            for left in (0..width).step_by(8) {
                let sum: i32 = (top..top + 8)
                    .flat_map(|y| &self.pixels[y * self.width + left..][..8])
                    .map(|&pixel| i32::from(pixel))
                    .sum();
                let mean = sum / 64 - 128;
                let difference = mean - before;
                before = mean;
                let length = 32 - difference.unsigned_abs().leading_zeros();
                let value = if difference < 0 {
                    difference + (1 << length) - 1
                } else {
                    difference
                };
                bits.push(length, 4);
                bits.push(value.cast_unsigned(), length);
                bits.push(0, 1);
            }
        }
        file.extend(bits.finish());
        file.extend([0xff, 0xd9]);
        file
    }

    /// As TIFF, without compression.
    pub fn tiff(&self) -> Vec<u8> {
        let mut file = b"II\x2a\0\x08\0\0\0".to_vec();
        let entries: [(u16, usize); 9] = [
            (256, self.width),
            (257, self.height),
            (258, 8),
            (259, 1),
            (262, 1),
            (273, 8 + 2 + 9 * 12 + 4),
            (277, 1),
            (278, self.height),
            (279, self.pixels.len()),
        ];
        file.extend(9_u16.to_le_bytes());
        for (tag, value) in entries {
            file.extend(tag.to_le_bytes());
            file.extend(4_u16.to_le_bytes());
            file.extend(1_u32.to_le_bytes());
            file.extend(size(value).to_le_bytes());
        }
        file.extend([0; 4]);
        file.extend_from_slice(&self.pixels);
        file
    }
}

fn size(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn short(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

fn segment(file: &mut Vec<u8>, marker: u8, data: &[u8]) {
    file.extend([0xff, marker]);
    file.extend(short(data.len() + 2).to_be_bytes());
    file.extend_from_slice(data);
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    open: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, value: u32, length: u32) {
        for place in (0..length).rev() {
            self.open = (self.open << 1) | ((value >> place) & 1);
            self.count += 1;
            if self.count == 8 {
                let byte = u8::try_from(self.open).unwrap_or(0);
                self.bytes.push(byte);
                if byte == 0xff {
                    self.bytes.push(0);
                }
                (self.open, self.count) = (0, 0);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        while self.count > 0 {
            self.push(1, 1);
        }
        self.bytes
    }
}

fn adler(data: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for &byte in data {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    (b << 16) | a
}

/// The table of the CRC for each byte.
const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                (value >> 1) ^ 0xedb8_8320
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

fn crc(data: &[u8]) -> u32 {
    !data.iter().fold(!0_u32, |sum, &byte| {
        (sum >> 8) ^ CRC[((sum ^ u32::from(byte)) & 0xff) as usize]
    })
}
