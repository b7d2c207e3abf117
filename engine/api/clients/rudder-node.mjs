// Sends one customer's calls with @rudderstack/rudder-sdk-node: rudder-node.mjs URL WRITE_KEY USER
import RudderAnalytics from '@rudderstack/rudder-sdk-node'

const [dataPlaneUrl, writeKey, userId] = process.argv.slice(2)
const client = new RudderAnalytics(writeKey, { dataPlaneUrl, flushAt: 2, logLevel: 'error' })
const context = { channel: 'call_center', traits: { phone: '+380501234567' } }
client.identify({ userId, traits: { name: 'Taras', plan: 'gold' } })
client.track({ userId, event: 'Product Added', properties: { product_id: 'sku-2', price: '12.50', quantity: 1 }, context })
client.track({ userId, event: 'Order Completed', properties: { order_id: 'o1', total: 12.5, products: [{ product_id: 'sku-2', quantity: 1, price: 12.5 }] }, context })
client.page({ userId, name: 'Thanks' })
await new Promise((resolve, reject) => client.flush((error) => (error ? reject(error) : resolve())))
