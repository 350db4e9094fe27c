// Connects, subscribes, publishes at each QoS, with will, retained message and session, as version 4 (3.1.1) or 5.
const assert = require('assert');
const mqtt = require('mqtt');

const [port, version] = process.argv.slice(2).map(Number);

async function client(id, options = {}) {
	const c = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
		clientId: `${id}${version}`, protocolVersion: version, reconnectPeriod: 0, ...options,
	});
	c.got = [];
	c.waiting = [];
	c.on('message', (topic, payload, packet) => {
		const next = c.waiting.shift();
		const m = { topic, payload: payload.toString(), packet };
		if (next) next(m);
		else c.got.push(m);
	});
	c.next = () => (c.got.length ? Promise.resolve(c.got.shift()) : new Promise((done) => c.waiting.push(done)));
	return c;
}

async function main() {
	const sub = await client('jsub');
	const pub = await client('jpub');
	for (let qos = 0; qos < 3; qos++) {
		const granted = await sub.subscribeAsync(`js/${version}/${qos}`, { qos });
		assert.strictEqual(granted[0].qos, qos);
		for (let n = 0; n < 20; n++) await pub.publishAsync(`js/${version}/${qos}`, `${n}`, { qos });
		for (let n = 0; n < 20; n++) {
			const m = await sub.next();
			assert.deepStrictEqual([m.topic, m.payload, m.packet.qos], [`js/${version}/${qos}`, `${n}`, qos]);
		}
	}
	await pub.publishAsync(`jskept/${version}`, 'kept', { qos: 1, retain: true });
	await sub.subscribeAsync(`jskept/${version}`, { qos: 1 });
	assert.ok((await sub.next()).packet.retain);
	await pub.publishAsync(`jskept/${version}`, '', { qos: 1, retain: true });
	await sub.next();

	const will = { topic: `js/${version}/0`, payload: 'gone', qos: 1 };
	const victim = await client('jvictim', { will });
	victim.stream.destroy();
	assert.strictEqual((await sub.next()).payload, 'gone');

	const kept = { clean: false, properties: version === 5 ? { sessionExpiryInterval: 1000 } : undefined };
	let keeper = await client('jkeeper', kept);
	await keeper.subscribeAsync(`jsq/${version}`, { qos: 2 });
	await keeper.endAsync();
	for (let n = 0; n < 10; n++) await pub.publishAsync(`jsq/${version}`, `${n}`, { qos: 1 });
	// Messages may come with CONNACK: listen from the start.
	const got = [];
	keeper = mqtt.connect(`mqtt://127.0.0.1:${port}`, { clientId: `jkeeper${version}`, protocolVersion: version, reconnectPeriod: 0, ...kept });
	await new Promise((done) => keeper.on('message', (t, p) => got.push(p.toString()) === 10 && done()));
	assert.deepStrictEqual(got, [...Array(10).keys()].map(String));
	await Promise.all([keeper.endAsync(), sub.endAsync(), pub.endAsync()]);
}

main().then(() => process.exit(0), (e) => {
	console.error(e);
	process.exit(1);
});
