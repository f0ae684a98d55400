/** Hashes and partition values of the specification (Appendix B) and of PyIceberg 0.12, as it computed them. */
import { describe, expect, test } from 'vitest'
import { uuidBytes } from '../../../table/spec/json-value.ts'
import { hashValue, murmur3 } from '../../../table/spec/murmur3.ts'
import { partitionValueToText } from '../../../table/spec/partition-text.ts'
import { applyTransform, canApply, transformResultType } from '../../../table/spec/transform.ts'
import type { PrimitiveType, PrimitiveValue } from '../../../table/spec/types.ts'

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))

describe('the hash of', () => {
  test.each([
    ['int', 34, 2_017_239_379],
    ['long', 34n, 2_017_239_379],
    ['decimal(4, 2)', 1420n, -500_754_589],
    ['date', 17_486, -653_330_422],
    ['time', 81_068_000_000n, -662_762_989],
    ['timestamp', 1_510_871_468_000_000n, -2_047_944_441],
    ['timestamptz', 1_510_871_468_000_000n, -2_047_944_441],
    ['timestamp', 1_510_871_468_000_001n, -1_207_196_810],
    ['string', 'iceberg', 1_210_000_089],
    ['uuid', uuidBytes('f79c3e09-677c-4bbd-a479-3f349cb785e7')!, 1_488_055_340],
    ['fixed[4]', hex('00010203'), -188_683_207],
    ['binary', hex('00010203'), -188_683_207],
  ] as const)('%s %s is %i', (type, value, expected) => {
    expect(hashValue(type, value)).toBe(expected)
  })

  test('bytes of each length modulo four', () => {
    // Reference values of the mmh3 package.
    expect(['', '00', 'ff', '0001', '000102', 'ffffffffff'].map((text) => murmur3(hex(text)))).toEqual([
      0, 1364076727, -43192051, 1893835456, 1372901591, 2048059228,
    ])
  })
})

describe('PyIceberg computes the same', () => {
  const VECTORS: readonly (readonly [string, PrimitiveType, PrimitiveValue, PrimitiveValue])[] = [
    ['bucket[16]', 'int', -1735091477, 7],
    ['bucket[16]', 'int', -2045945111, 6],
    ['bucket[16]', 'int', -1034511891, 15],
    ['bucket[16]', 'int', 468792313, 13],
    ['bucket[16]', 'long', -8263154893561376370n, 12],
    ['bucket[16]', 'long', -802598390n, 0],
    ['bucket[16]', 'long', 1737792584n, 6],
    ['bucket[16]', 'long', -840002111n, 5],
    ['bucket[16]', 'date', -641629, 6],
    ['bucket[16]', 'date', -171, 1],
    ['bucket[16]', 'date', 917377, 8],
    ['bucket[16]', 'date', 2018635, 14],
    ['bucket[16]', 'time', 97341509n, 15],
    ['bucket[16]', 'time', 66734944765n, 12],
    ['bucket[16]', 'timestamp', -34940943594741719n, 13],
    ['bucket[16]', 'timestamp', -5512885112500258n, 3],
    ['bucket[16]', 'timestamp', -31033410522244509n, 6],
    ['bucket[16]', 'timestamp', 153351990295616994n, 9],
    ['bucket[16]', 'timestamptz', -43446865041687946n, 7],
    ['bucket[16]', 'timestamptz', -7578929189804018n, 5],
    ['bucket[16]', 'timestamptz', 217267370022701731n, 9],
    ['bucket[16]', 'timestamptz', 83521021580501890n, 15],
    ['bucket[16]', 'string', 'b\uffff\ud83d\ude00\ud83d\ude00\uffff\u00e9z', 15],
    ['bucket[16]', 'string', '\u0000', 7],
    ['bucket[16]', 'binary', hex('cb05385c0ab2c4ab31468d6402d7b3d1f601'), 1],
    ['bucket[16]', 'binary', hex(''), 0],
    ['bucket[16]', 'fixed[5]', hex('bd15151c5f'), 11],
    ['bucket[16]', 'fixed[5]', hex('b639e8e198'), 2],
    ['bucket[16]', 'uuid', hex('c75cdb4f2e4032d5d60909a5b641238e'), 13],
    ['bucket[16]', 'uuid', hex('e2cc4bb717e86cc3b017390d265b3db1'), 3],
    ['bucket[16]', 'decimal(30, 4)', -2158635342n, 8],
    ['bucket[16]', 'decimal(30, 4)', -11136621306619n, 11],
    ['bucket[16]', 'decimal(30, 4)', -11136621306619n, 11],
    ['bucket[16]', 'decimal(30, 4)', 379886672545169n, 0],
    ['bucket[100]', 'int', -165803885, 83],
    ['bucket[100]', 'int', -542335618, 7],
    ['bucket[100]', 'int', 2093072784, 9],
    ['bucket[100]', 'int', 152291402, 14],
    ['bucket[100]', 'long', -6006142162740637743n, 97],
    ['bucket[100]', 'long', -1879559212n, 76],
    ['bucket[100]', 'long', -2150853273492695359n, 51],
    ['bucket[100]', 'long', -832031565n, 72],
    ['bucket[100]', 'date', -59025, 82],
    ['bucket[100]', 'date', -45031, 7],
    ['bucket[100]', 'date', 2077337, 6],
    ['bucket[100]', 'date', 869440, 58],
    ['bucket[100]', 'time', 8125254480n, 54],
    ['bucket[100]', 'time', 84494960575n, 79],
    ['bucket[100]', 'timestamp', -27070729571192396n, 86],
    ['bucket[100]', 'timestamp', -2798983938039767n, 13],
    ['bucket[100]', 'timestamp', 248325979059785598n, 71],
    ['bucket[100]', 'timestamp', 28093662200425304n, 58],
    ['bucket[100]', 'timestamptz', -45279267421526217n, 42],
    ['bucket[100]', 'timestamptz', -50121748696197759n, 48],
    ['bucket[100]', 'timestamptz', 96007396314947530n, 31],
    ['bucket[100]', 'timestamptz', 1098872308025141n, 70],
    ['bucket[100]', 'string', '\uffffba\uffff\ud7ff\udbff\udfff\u0000\ud83d\ude00z\udbff\udfff', 72],
    ['bucket[100]', 'string', '\u6f22\ud83d\ude00\u0000\u6f22a\u00e9', 3],
    ['bucket[100]', 'binary', hex(''), 0],
    ['bucket[100]', 'binary', hex('f8ac345eff7f04d4'), 81],
    ['bucket[100]', 'fixed[5]', hex('dc1117ca90'), 37],
    ['bucket[100]', 'fixed[5]', hex('7bc2eb1360'), 24],
    ['bucket[100]', 'uuid', hex('9ad2b3c63903185f5a07bd8a62cdbf72'), 32],
    ['bucket[100]', 'uuid', hex('606c6875b0665a637d06f6ae6ff72152'), 65],
    ['bucket[100]', 'decimal(30, 4)', -720136905792213784726713n, 47],
    ['bucket[100]', 'decimal(30, 4)', -6825071503991840974n, 96],
    ['bucket[100]', 'decimal(30, 4)', -327521329863n, 89],
    ['bucket[100]', 'decimal(30, 4)', -774005678260n, 23],
    ['truncate[2]', 'int', -293216304, -293216304],
    ['truncate[2]', 'int', -1442226256, -1442226256],
    ['truncate[2]', 'int', 1852799831, 1852799830],
    ['truncate[2]', 'int', -650558612, -650558612],
    ['truncate[2]', 'long', -4527362213068702460n, -4527362213068702460n],
    ['truncate[2]', 'long', -697253307670392914n, -697253307670392914n],
    ['truncate[2]', 'long', -2130148035n, -2130148036n],
    ['truncate[2]', 'long', 9052825179225498268n, 9052825179225498268n],
    [
      'truncate[2]',
      'string',
      '\udbff\udfff\u00e9\uffff\u0000\uffff\ud83d\ude00\u6f22\uffff\u0000\ud83d\ude00',
      '\udbff\udfff\u00e9',
    ],
    [
      'truncate[2]',
      'string',
      '\u6f22\ud83d\ude00\u6f22a\uffff\udbff\udfff\udbff\udfff\u00e9\u0000a\udbff\udfff',
      '\u6f22\ud83d\ude00',
    ],
    ['truncate[2]', 'binary', hex('7c856a8a1faf8e7e251eab750ac9'), hex('7c85')],
    ['truncate[2]', 'binary', hex('515cf25cae'), hex('515c')],
    ['truncate[2]', 'decimal(30, 4)', -91000989510648216025n, -91000989510648216026n],
    ['truncate[2]', 'decimal(30, 4)', -743116167551722034n, -743116167551722034n],
    ['truncate[2]', 'decimal(30, 4)', -87878098228541181879n, -87878098228541181880n],
    ['truncate[2]', 'decimal(30, 4)', -8125455831184244458n, -8125455831184244458n],
    ['truncate[5]', 'int', -1007488421, -1007488425],
    ['truncate[5]', 'int', -137738911, -137738915],
    ['truncate[5]', 'int', -1395305624, -1395305625],
    ['truncate[5]', 'int', 1325414468, 1325414465],
    ['truncate[5]', 'long', -7528306472852041736n, -7528306472852041740n],
    ['truncate[5]', 'long', -5032172242096376675n, -5032172242096376675n],
    ['truncate[5]', 'long', -5096306130805967156n, -5096306130805967160n],
    ['truncate[5]', 'long', -3715978756543969272n, -3715978756543969275n],
    [
      'truncate[5]',
      'string',
      '\ud83d\ude00\u6f22b\ud7ff\u0000\u0000z\udbff\udfff\udbff\udfff\u00e9\uffff\ud83d\ude00',
      '\ud83d\ude00\u6f22b\ud7ff\u0000',
    ],
    [
      'truncate[5]',
      'string',
      '\ud83d\ude00\ud83d\ude00\udbff\udfff\ud7ff\u0000\u6f22',
      '\ud83d\ude00\ud83d\ude00\udbff\udfff\ud7ff\u0000',
    ],
    ['truncate[5]', 'binary', hex('046d7e'), hex('046d7e')],
    ['truncate[5]', 'binary', hex('e86c7ec4ca5b15c6e90698'), hex('e86c7ec4ca')],
    ['truncate[5]', 'decimal(30, 4)', -78641183602421950731n, -78641183602421950735n],
    ['truncate[5]', 'decimal(30, 4)', -47101802670625383601n, -47101802670625383605n],
    ['truncate[5]', 'decimal(30, 4)', -54431019980431730730n, -54431019980431730730n],
    ['truncate[5]', 'decimal(30, 4)', 96089208637854182076n, 96089208637854182075n],
    ['truncate[10]', 'int', -153822599, -153822600],
    ['truncate[10]', 'int', -2016168908, -2016168910],
    ['truncate[10]', 'int', 1978422197, 1978422190],
    ['truncate[10]', 'int', -1285067108, -1285067110],
    ['truncate[10]', 'long', -293216304n, -293216310n],
    ['truncate[10]', 'long', -832031565n, -832031570n],
    ['truncate[10]', 'long', -9106757826972275619n, -9106757826972275620n],
    ['truncate[10]', 'long', 1533165992165515994n, 1533165992165515990n],
    [
      'truncate[10]',
      'string',
      '\udbff\udfff\udbff\udfffz\u6f22zb\u6f22\u0000\ud7ff\ud83d\ude00',
      '\udbff\udfff\udbff\udfffz\u6f22zb\u6f22\u0000\ud7ff\ud83d\ude00',
    ],
    ['truncate[10]', 'string', '\u0000', '\u0000'],
    ['truncate[10]', 'binary', hex('badc05'), hex('badc05')],
    ['truncate[10]', 'binary', hex('2c46'), hex('2c46')],
    ['truncate[10]', 'decimal(30, 4)', -50775378423111510423n, -50775378423111510430n],
    ['truncate[10]', 'decimal(30, 4)', -74562380641573103136n, -74562380641573103140n],
    ['truncate[10]', 'decimal(30, 4)', 87747432781181577279n, 87747432781181577270n],
    ['truncate[10]', 'decimal(30, 4)', -17886358318109426258n, -17886358318109426260n],
    ['year', 'timestamp', -7878731488241860n, -250],
    ['year', 'timestamp', -5644492920134984n, -179],
    ['year', 'timestamp', 184393099041470017n, 5843],
    ['year', 'timestamp', 197572108860079463n, 6260],
    ['year', 'timestamptz', -59893755959156336n, -1898],
    ['year', 'timestamptz', -16258057024824904n, -516],
    ['year', 'timestamptz', 220223566306433652n, 6978],
    ['year', 'timestamptz', -34058875090845390n, -1080],
    ['year', 'date', -714177, -1956],
    ['year', 'date', -240078, -658],
    ['year', 'date', -424034, -1161],
    ['year', 'date', 897942, 2458],
    ['month', 'timestamp', -21668312083676792n, -8240],
    ['month', 'timestamp', -45394497501360338n, -17262],
    ['month', 'timestamp', 21607553201061034n, 8216],
    ['month', 'timestamp', 244215767668252268n, 92866],
    ['month', 'timestamptz', -7389312587045967n, -2810],
    ['month', 'timestamptz', -54602030858634949n, -20764],
    ['month', 'timestamptz', -31556561718936513n, -12000],
    ['month', 'timestamptz', 233191433249364503n, 88674],
    ['month', 'date', -568089, -18665],
    ['month', 'date', -333627, -10962],
    ['month', 'date', 1220756, 40107],
    ['month', 'date', 315456, 10364],
    ['day', 'timestamp', -21818287740063113n, -252527],
    ['day', 'timestamp', -53336081842780625n, -617316],
    ['day', 'timestamp', 214911579270617583n, 2487402],
    ['day', 'timestamp', 135036213333510948n, 1562919],
    ['day', 'timestamptz', -50121748696197759n, -580113],
    ['day', 'timestamptz', -28885304425971054n, -334321],
    ['day', 'timestamptz', -32828025893140927n, -379955],
    ['day', 'timestamptz', 80506631699851232n, 931789],
    ['day', 'date', -505501, -505501],
    ['day', 'date', -560292, -560292],
    ['day', 'date', 1673609, 1673609],
    ['day', 'date', 679899, 679899],
    ['hour', 'timestamp', -44644765924546714n, -12401324],
    ['hour', 'timestamp', -34940943594741719n, -9705818],
    ['hour', 'timestamp', 120490201874585986n, 33469500],
    ['hour', 'timestamp', 96171369588992347n, 26714269],
    ['hour', 'timestamptz', -59051056553796537n, -16403072],
    ['hour', 'timestamptz', -58781586414872305n, -16328219],
    ['hour', 'timestamptz', -22666084438722531n, -6296135],
    ['hour', 'timestamptz', 239457673549040977n, 66516020],
  ]
  test.each(VECTORS)('%s of %s %s', (transform, type, value, expected) => {
    expect(applyTransform(transform, type, value)).toEqual(expected)
  })
})

describe('truncate', () => {
  test.each([
    [1, 'truncate[10]', 'int', 0],
    [-1, 'truncate[10]', 'int', -10],
    [-1n, 'truncate[10]', 'long', -10n],
    [1065n, 'truncate[50]', 'decimal(4, 2)', 1050n],
    [-5n, 'truncate[50]', 'decimal(4, 2)', -50n],
    ['iceberg', 'truncate[3]', 'string', 'ice'],
    ['\u{1f600}\u{1f601}a', 'truncate[1]', 'string', '\u{1f600}'],
    ['é', 'truncate[1]', 'string', 'é'],
    [hex('0102030405'), 'truncate[3]', 'binary', hex('010203')],
    // Below the range of the type Java wraps around, and so do we: the value has to be the same in every writer.
    [-2_147_483_648, 'truncate[10]', 'int', 2_147_483_646],
    [-(2n ** 63n), 'truncate[10]', 'long', 9_223_372_036_854_775_806n],
  ] as const)('%s by %s of %s is %s', (value, transform, type, expected) => {
    expect(applyTransform(transform, type, value)).toEqual(expected)
  })
})

test('a column keeps its buckets when it is promoted', () => {
  for (const n of [0, -1, 34, 2 ** 31 - 1, -(2 ** 31)]) {
    expect(applyTransform('bucket[16]', 'long', BigInt(n))).toBe(applyTransform('bucket[16]', 'int', n))
  }
  expect(applyTransform('bucket[16]', 'decimal(38, 2)', 1420n)).toBe(
    applyTransform('bucket[16]', 'decimal(4, 2)', 1420n),
  )
})

test('a transform applies to the types that the specification has it for', () => {
  const types: readonly PrimitiveType[] = [
    'boolean',
    'int',
    'double',
    'date',
    'time',
    'timestamp',
    'string',
    'uuid',
    'binary',
    'fixed[4]',
    'decimal(9, 2)',
  ]
  const applies = (transform: string): string => types.filter((type) => canApply(transform, type)).join(' ')
  expect(applies('identity')).toBe(types.join(' '))
  expect(applies('YEAR')).toBe('date timestamp')
  expect(applies('hour')).toBe('timestamp')
  expect(applies('bucket[4]')).toBe('int date time timestamp string uuid binary fixed[4] decimal(9, 2)')
  expect(applies('truncate[4]')).toBe('int string binary decimal(9, 2)')
  for (const unknown of ['bucket[0]', 'bucket', 'truncate[-1]', 'truncate[2147483648]', 'zorder']) {
    expect(applies(unknown)).toBe('')
    expect(transformResultType(unknown, 'int')).toBe('string')
  }
})

describe('a partition value is printed as Java prints it', () => {
  test.each([
    ['year', 'int', 47, '2017'],
    ['year', 'int', -1, '1969'],
    ['month', 'int', -1, '1969-12'],
    ['bucket[16]', 'int', 3, '3'],
    ['truncate[4]', 'string', 'a/b', 'a/b'],
    ['truncate[50]', 'decimal(4, 2)', -50n, '-0.50'],
    ['identity', 'decimal(9, 0)', 12n, '12'],
    ['identity', 'long', 9_007_199_254_740_993n, '9007199254740993'],
    ['identity', 'date', 17_486, '2017-11-16'],
    ['identity', 'time', 36_775_038_194n, '10:12:55.038194'],
    ['identity', 'time', 36_720_000_000n, '10:12'],
    ['identity', 'timestamp', 1_512_123_175_038_194n, '2017-12-01T10:12:55.038194'],
    ['identity', 'timestamptz', 1_512_123_175_038_194n, '2017-12-01T10:12:55.038194Z'],
    ['identity', 'timestamptz', 1_512_123_175_038_000n, '2017-12-01T10:12:55.038Z'],
    ['identity', 'timestamp', 1_512_123_120_000_000n, '2017-12-01T10:12'],
    ['identity', 'binary', hex('fffe00'), '//4A'],
    ['identity', 'uuid', hex('f79c3e09677c4bbda4793f349cb785e7'), 'f79c3e09-677c-4bbd-a479-3f349cb785e7'],
    ['void', 'string', null, 'null'],
  ] as const)('%s %s %s is %s', (transform, type, value, expected) => {
    expect(partitionValueToText(transform, type, value)).toBe(expected)
  })
})
