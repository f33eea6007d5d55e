"""What a cluster with TLS and roles has more: certificates of scripts/certs, a token of one who may look, and the TOML for both."""
import shutil
import ssl
import subprocess

ROLE, WHO = "viewer", "harness"  # reading is all that a harness does on an admin port


class Secured:
    """`directory`: new, for certificates and tokens. `has_roles`: the admin ports answer only to tokens, `token` is one. `is_tls`: every
    other port speaks TLS, `is_admin_tls`: the admin ports do."""

    def __init__(self, root, binaries, directory, edges, centrals=("central",), has_roles=False, is_tls=True, is_admin_tls=False):
        self.root, self.directory, self.is_tls, self.is_admin_tls = root, directory, is_tls, is_admin_tls
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
        """[tls], and [admin] where there are roles or TLS on it, of the daemon with this certificate; they come after all else."""
        at = self.directory
        tls = "" if not self.is_tls else (
            f'\n[tls]\ncertificate = "{at}/{name}.crt"\nkey = "{at}/{name}.key"\nca = "{at}/trusted.crt"\n'
            f'trust_domain = "weir.test"\ndeny_list = "{at}/denied"\n{more}')
        admin = f'tokens = "{at}/tokens"\n' if self.token else ""
        admin += f'certificate = "{at}/{name}.crt"\nkey = "{at}/{name}.key"\n' if self.is_admin_tls else ""
        return tls + (f"\n[admin]\n{admin}" if admin else "")

    def edge_tables(self, name):
        return self.tables(name, "producers = true\n")

    def context(self):
        """For the admin ports: who trusts the CA, and shows no certificate."""
        return ssl.create_default_context(cafile=self.directory / "trusted.crt")

    def sender(self):
        """More arguments for weir-bench."""
        return ["--tls", "--ca", self.directory / "trusted.crt"]
