"""What a cluster with TLS and roles has more: certificates of scripts/certs, a token of one who may look, and the TOML for both."""
import shutil
import subprocess

ROLE, WHO = "viewer", "harness"  # reading is all that a harness does on an admin port


class Secured:
    """`directory`: new, for certificates and tokens. `has_roles`: the admin ports answer only to tokens, `token` is one."""

    def __init__(self, root, binaries, directory, edges, centrals=("central",), has_roles=False):
        self.root, self.directory = root, directory
        for central in centrals:
            self.make_certificates(directory, edges, central=central)
        (directory / "denied").touch()
        self.token = self.make_token(binaries / "weir-edge", WHO, ROLE) if has_roles else None

    def make_certificates(self, directory, edges, **options):
        """New leaves; `trusted.crt` is what everybody takes for the CAs."""
        command = [self.root / "scripts/certs", directory, "--edges", ",".join(edges)]
        for key, value in options.items():
            command += [f"--{key}", str(value)]
        subprocess.run(command, check=True)
        if not (directory / "trusted.crt").exists():
            shutil.copy(directory / "ca.crt", directory / "trusted.crt")

    def make_token(self, program, who, role):
        """The token's hash is in `tokens`, the token in WHO.token."""
        out = self.directory / f"{who}.token"
        subprocess.run([program, "token", self.directory / "tokens", who, role, "--out", out], check=True, stdout=subprocess.DEVNULL)
        return out.read_text().strip()

    def tables(self, name, more=""):
        """[tls], and [admin] where there are roles, of the daemon with this certificate; they come after all else."""
        at = self.directory
        tls = (f'\n[tls]\ncertificate = "{at}/{name}.crt"\nkey = "{at}/{name}.key"\nca = "{at}/trusted.crt"\n'
               f'trust_domain = "weir.test"\ndeny_list = "{at}/denied"\n{more}')
        return tls + (f'\n[admin]\ntokens = "{at}/tokens"\n' if self.token else "")

    def edge_tables(self, name):
        return self.tables(name, "producers = true\n")

    def sender(self):
        """More arguments for weir-bench."""
        return ["--tls", "--ca", self.directory / "trusted.crt"]
