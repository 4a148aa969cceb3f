// Preloaded into the conformance suite: a server of its that names no address listens on loopback alone.
const { Server } = require('node:net');

// Node's last step before it binds. Giving `listen` a host instead would make it resolve the name first, and the suite
// asks for its port as soon as `listen` returns.
const bind = Server.prototype._listen2;
const IPV4 = 4;

Server.prototype._listen2 = function (address, port, addressType, ...rest) {
  const anywhere = address === null || address === undefined;
  const isTcp = typeof port === 'number' && port >= 0;
  return anywhere && isTcp ? bind.call(this, '127.0.0.1', port, IPV4, ...rest) : bind.call(this, address, port, addressType, ...rest);
};
