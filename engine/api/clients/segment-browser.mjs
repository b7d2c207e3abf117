// Opens a page of a shop in headless Chromium and lets @segment/analytics-next send from it:
// segment-browser.mjs URL WRITE_KEY USER. The page is served from a port of its own, so that its calls
// cross origins as a shop's do, and the library learns where to send from the server's settings.
import { createServer } from 'node:http'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { chromium } from 'playwright-core'

const [server, writeKey, userId] = process.argv.slice(2)
const require = createRequire(import.meta.url)
const manifest = path.dirname(require.resolve('@segment/analytics-next/package.json'))
const library = await readFile(path.join(manifest, 'dist/umd/index.js'))

const html = `<!doctype html><title>Boots</title><script src="/analytics.js"></script>`
const pages = createServer((request, response) => {
  if (request.url === '/analytics.js') {
    response.setHeader('Content-Type', 'text/javascript')
    response.end(library)
  } else {
    response.setHeader('Content-Type', 'text/html; charset=utf-8')
    response.end(html)
  }
})
await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))

// Runs in the page, as a shop's own script would.
async function shop({ server, writeKey, userId }) {
  const [analytics] = await window.AnalyticsNext.AnalyticsBrowser.load({ writeKey, cdnURL: server })
  await analytics.page('Product', 'Boots')
  await analytics.track('Product Viewed', { product_id: 'sku-1', name: 'Boots', price: 450 })
  await analytics.identify(userId, { name: 'Oksana', email: `${userId}@shop.example` })
  await analytics.track('Product Added', { product_id: 'sku-1', name: 'Boots', price: 450, quantity: 1 })
  return analytics.user().anonymousId()
}

const userData = await mkdtemp(path.join(tmpdir(), 'rapport-chromium-'))
const failed = []
let answered = 0
const context = await chromium.launchPersistentContext(userData, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
})
try {
  const page = await context.newPage()
  page.on('requestfailed', (request) => failed.push(`${request.url()}: ${request.failure()?.errorText}`))
  page.on('response', (response) => {
    if (!response.url().startsWith(server)) return
    if (response.status() >= 400) failed.push(`${response.url()}: ${response.status()}`)
    if (response.request().method() === 'POST') answered++
  })
  await page.goto(`http://127.0.0.1:${pages.address().port}/`)
  const calls = page.waitForResponse((r) => r.request().method() === 'POST' && answered >= 4, { timeout: 20000 })
  const anonymousId = await page.evaluate(shop, { server, writeKey, userId })
  await calls
  console.log(JSON.stringify({ anonymousId }))
} finally {
  await context.close()
  await rm(userData, { recursive: true, force: true })
  pages.close()
}
if (failed.length > 0) {
  console.error(failed.join('\n'))
  process.exit(1)
}
