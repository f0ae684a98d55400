/** The little XML that S3 speaks: flat documents out, lists of parts or keys in. */

export type XmlNode = string | number | boolean | undefined | readonly XmlNode[] | { readonly [name: string]: XmlNode }

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'

/** A whole document; a list becomes repeated elements, `undefined` none. */
export function xmlDocument(root: string, content: XmlNode, options: { readonly bare?: boolean } = {}): string {
  const namespace = options.bare === true ? '' : ` xmlns="${NAMESPACE}"`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${namespace}>${xmlContent(content)}</${root}>`
}

function xmlContent(node: XmlNode): string {
  if (node === undefined) return ''
  if (typeof node !== 'object') return escapeXml(String(node))
  return Object.entries(node)
    .map(([name, value]) => (Array.isArray(value) ? value : [value]).map((item) => xmlElement(name, item)).join(''))
    .join('')
}

const xmlElement = (name: string, node: XmlNode): string =>
  node === undefined ? '' : `<${name}>${xmlContent(node)}</${name}>`

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

/** Control characters become references, as S3 writes them, though XML 1.0 has no name for most of them. */
const escapeXml = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that have to be escaped
  text.replace(/[&<>"'\u0000-\u001f\u007f]/g, (char) => ESCAPES[char] ?? `&#x${char.charCodeAt(0).toString(16)};`)

/** Contents of every `<name>` in `xml`, with or without attributes, in order; not for elements nested in themselves. */
export function xmlElements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, 'g'))].map((match) => match[1]!)
}

/** Text of the first `<name>` in `xml`, unescaped. */
export function xmlText(xml: string, name: string): string | undefined {
  const content = xmlElements(xml, name)[0]
  return content === undefined ? undefined : unescapeXml(content)
}

const NAMES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|([a-z]+));/gi, (whole, hex, decimal, name) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal))
    return NAMES[name as string] ?? whole
  })
}
