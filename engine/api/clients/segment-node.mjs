// Sends one customer's calls with @segment/analytics-node: segment-node.mjs URL WRITE_KEY USER
import { Analytics } from '@segment/analytics-node'

const [host, writeKey, userId] = process.argv.slice(2)
const failures = []
const analytics = new Analytics({ writeKey, host, flushAt: 3 })
analytics.on('error', (error) => failures.push(error))

const anonymousId = `${userId}-browser`
const context = { channel: 'app', timezone: 'Europe/Kyiv', locale: 'uk-UA' }
analytics.page({ anonymousId, name: 'Home', context })
analytics.identify({ userId, anonymousId, traits: { name: 'Olena', email: `${userId}@Shop.Example`, birthday: '1990-05-17' }, context })
analytics.track({ userId, event: 'Product Viewed', properties: { product_id: 'sku-1', name: 'Boots', price: 450 }, context })
analytics.track({ userId, event: 'Product Added', properties: { cart_id: 'c1', product_id: 'sku-1', name: 'Boots', price: 450, quantity: 2 }, context })
analytics.screen({ userId, name: 'Cart', context })
analytics.group({ userId, groupId: 'club', traits: { name: 'The club' }, context })
await analytics.closeAndFlush({ timeout: 10000 })
if (failures.length > 0) {
  console.error(failures)
  process.exit(1)
}
