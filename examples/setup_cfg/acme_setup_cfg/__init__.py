def main():
    print("Hello from a console script!")
