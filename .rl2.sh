set +e
chmod 755 /root /work
g=/sys/fs/cgroup/delegated; mkdir $g; echo "+cpu +memory +pids" > /sys/fs/cgroup/cgroup.subtree_control
chown nobody $g $g/cgroup.procs $g/cgroup.subtree_control $g/cgroup.threads; echo $$ > $g/cgroup.procs
cd /tmp; mkdir p; cp /work/main/tests/e2e/handlers.py p/app.py; printf '[functions.where]\nhandler="app.where"\n[functions.hungry]\nhandler="app.hungry"\n' > p/microfaas.toml; chown -R nobody p
setpriv --reuid nobody --regid nogroup --clear-groups env HOME=/tmp sh -c 'cd /tmp/p; /work/main/.venv/bin/microfaas doctor; /work/main/.venv/bin/microfaas run . > out 2>&1 & sleep 8; curl -s -d "{}" http://127.0.0.1:9000/2015-03-31/functions/where/invocations | head -c 300; curl -s -d "{\"mb\":300}" http://127.0.0.1:9000/2015-03-31/functions/hungry/invocations; cat out'
